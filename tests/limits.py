"""How long tests wait. A limit ends only a test that fails: no test is faster with a lower one."""

MAX_WAIT = 300.0
"""Seconds in which whatever must happen happens, also on a busy machine."""

MAX_RUN = 600.0
"""Seconds in which another program ends, also one that imports large packages."""

MAX_STALL = 60.0
"""Seconds after which a stall of a server ends. A call that took less did not wait for it."""
