"""How the embedded pair is made: a synthetic world, its protocol, two models, their evaluation."""
