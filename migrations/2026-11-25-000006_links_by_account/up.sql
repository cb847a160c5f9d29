-- Whoever destroys an account's key must find all links of the account, ended ones too.
CREATE INDEX links_by_account ON links (zoom_account_id);
