"""Who there is: accounts, users, groups, policies and keys, in table ``sys`` of set 0."""
