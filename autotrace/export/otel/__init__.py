"""Finished spans as OpenTelemetry's SDK knows them, for its span processors and exporters."""
