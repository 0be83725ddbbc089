"""Limits that layers which do not know one another keep in common."""

LONGEST_ID = 200
"""Most characters of the id of an event or an application; it stands in a header of a message."""
