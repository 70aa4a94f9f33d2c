"""
Who is measured side by side: one file for each, which says how it is started, and why so.
"""
