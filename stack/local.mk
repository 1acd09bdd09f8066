# The two commands, and what they stand on.
EXTRA_DIST += .ci/run stack tests/conftest.py tests/pytest.ini tests/run.py tests/lib tests/http tests/commands tests/crash tests/regress tests/real/stableconfigs

# Folders are taken whole; what Python and pytest leave in them is not.
dist-hook:
	find $(distdir)/stack $(distdir)/tests -depth '(' -name __pycache__ -o -name .pytest_cache ')' -exec rm -rf {} +
