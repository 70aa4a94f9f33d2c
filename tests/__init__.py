"""
Tests, one C{test_X.py} for each C{X.py}; for pytest and for trial.
"""
