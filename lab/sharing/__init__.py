"""Export and import of runs: `formats` lists the export formats, `bundle` also imports."""
