DROP INDEX links_by_account;
