"""Every network the lab can build, through one registry."""
