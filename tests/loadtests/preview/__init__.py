"""The page of the dashboards."""
