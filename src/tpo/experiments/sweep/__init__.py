"""Sweeps: methods by N by D by rewards by seeds over one data set, and what each is worth at equal cost."""
