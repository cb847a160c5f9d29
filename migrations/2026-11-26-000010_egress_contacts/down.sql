DROP TABLE egress_contacts;
