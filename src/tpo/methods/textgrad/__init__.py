"""TPO in the words of the installed ``textgrad`` package: its texts are read at run time, never imported."""
