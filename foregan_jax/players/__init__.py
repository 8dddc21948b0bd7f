"""One file per trained role: its loss and its offers."""
