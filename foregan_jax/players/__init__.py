"""One file per trained role: what it minimises and what it hands on."""
