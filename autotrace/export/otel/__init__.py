"""Finished spans as OpenTelemetry's SDK knows them, so that its processors and exporters take them."""
