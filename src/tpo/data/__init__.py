"""Data sets as queries: JSON (Lines), CSV, text, Parquet and Hugging Face data sets, checked and streamed."""

from tpo.data.digest import ids_by_digest, query_digest
from tpo.data.load import count_queries, data_digest, load_queries
from tpo.data.options import ReadOptions

__all__ = ["ReadOptions", "count_queries", "data_digest", "ids_by_digest", "load_queries", "query_digest"]
