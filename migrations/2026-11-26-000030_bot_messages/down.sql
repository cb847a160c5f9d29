DROP TABLE bot_people;
DROP TABLE bot_messages;
