"""Exporter `jaeger`: finished spans as Jaeger's thrift structs, over HTTP or UDP."""
