"""Thresholds that keep a promised false match rate, and the probability of "same" by distance."""

from __future__ import annotations

from likewise.calibration.calibrate import calibrate as calibrate
from likewise.calibration.listed import calibrate_pairs as calibrate_pairs
from likewise.calibration.probability import ProbabilityCurve as ProbabilityCurve
from likewise.calibration.rates import Rates as Rates
from likewise.calibration.rates import rates_at as rates_at
from likewise.calibration.result import Calibration as Calibration
from likewise.calibration.result import Threshold as Threshold
from likewise.calibration.support import identities_needed as identities_needed
from likewise.calibration.support import smallest_supported_fmr as smallest_supported_fmr
