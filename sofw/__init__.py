"""SoFW: SIP over FireWall."""

__version__ = "0.1.0"
