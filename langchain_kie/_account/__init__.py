"""What `KieAccount` reads and shares, and the table of models that ships with the package."""
