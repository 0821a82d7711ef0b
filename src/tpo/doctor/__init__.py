"""What would stop a run, found before it starts: small checks of policy, reward, method and data."""

from tpo.doctor.examine import examine
from tpo.doctor.finding import Finding, Status, works
from tpo.doctor.patient import Notes, Patient

__all__ = ["Finding", "Notes", "Patient", "Status", "examine", "works"]
