"""A small MCP server over stdin and stdout: `python mcp_server.py`."""

from __future__ import annotations

import base64

from mcp.server.fastmcp import FastMCP, Image

server = FastMCP("travel", log_level="WARNING")

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5Erk"
    "Jggg=="
)


@server.tool()
def get_weather(city: str) -> str:
    """Get the weather in a city."""
    return f"rain in {city}"


@server.tool()
def list_flights(origin: str, destination: str, seats: int = 1) -> list[dict[str, str | int]]:
    """List the flights from an origin to a destination."""
    return [{"flight": f"{origin[:3]}-{destination[:3]}-{n}", "seats": seats} for n in (1, 2)]


@server.tool()
def draw_map(place: str) -> Image:
    """Draw a map of a place."""
    return Image(data=PIXEL, format="png")


@server.tool()
def cancel_booking(code: str) -> str:
    """Cancel a booking."""
    raise ValueError(f"there is no booking {code}")


if __name__ == "__main__":
    server.run("stdio")
