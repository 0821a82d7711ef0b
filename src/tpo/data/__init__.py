"""Data in: JSON (Lines), CSV, Parquet and Hugging Face data sets become queries, checked and streaming."""

from tpo.data.load import count_queries, data_digest, load_queries

__all__ = ["count_queries", "data_digest", "load_queries"]
