"""Admission: rules that look beyond the object that is written, one file for each concern.

:mod:`~kubelite.control.api.admission.chain` holds what they share;
:mod:`~kubelite.control.api.admission.order` says which there are and in which order they run.
"""
