"""FHIR R4: what other systems export, read entry by entry and taken over as far as a hip registry can hold it."""
