import pytest

# These are no test files, but their assertions shall explain themselves all the same.
pytest.register_assert_rewrite("tests.transports.joined_links", "tests.transports.link_contract")
