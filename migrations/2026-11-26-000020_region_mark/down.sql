DROP TABLE region_key_marks;
DROP TABLE region_mark;
