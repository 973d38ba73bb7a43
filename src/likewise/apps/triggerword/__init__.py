"""Hearing a word in a stream: trained on clips with timed labels, calibrated in false alarms per hour."""

from likewise.apps.triggerword.events import EventRule
from likewise.apps.triggerword.learn import LearnedTrigger, TriggerOptions, learn, prepare
from likewise.apps.triggerword.listener import Event, Listener
from likewise.apps.triggerword.measure import Found, Heard
from likewise.apps.triggerword.model import TASK, TriggerWord, calibrate
from likewise.apps.triggerword.promise import AlarmCalibration, AlarmThreshold
from likewise.apps.triggerword.report import AlarmReport, evaluate

__all__ = [
    "TASK",
    "AlarmCalibration",
    "AlarmReport",
    "AlarmThreshold",
    "Event",
    "EventRule",
    "Found",
    "Heard",
    "LearnedTrigger",
    "Listener",
    "TriggerOptions",
    "TriggerWord",
    "calibrate",
    "evaluate",
    "learn",
    "prepare",
]
