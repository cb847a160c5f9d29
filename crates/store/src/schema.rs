//! The tables of the migrations, as diesel names them. Written by `cargo xtask gen`; never edit it.

diesel::table! {
    /// The Zoom accounts that may link here where the region's admission is by account.
    admitted_accounts (zoom_account_id) {
        /// Zoom's account id.
        zoom_account_id -> Text,
        /// When it was admitted.
        admitted_at -> Timestamptz,
        /// Who admitted it: app: with the name of the API key, or operator.
        admitted_by -> Text,
    }
}

diesel::table! {
    /// Who did what to links, when, and what came of it, written in the transaction that did it. Ids alone, no personal data.
    audit_entries (id) {
        /// The entry's id.
        id -> Uuid,
        /// The order of writing, and the cursor of the list.
        sequence -> Int8,
        /// When it happened.
        occurred_at -> Timestamptz,
        /// Who did it: app: with the name of the API key, browser, operator, service, zoom.
        actor -> Text,
        /// What was done or tried, such as link.activate.
        action -> Text,
        /// done or refused.
        outcome -> Text,
        /// Why it was refused, or why it was done where there is more than one cause.
        reason -> Nullable<Text>,
        /// Whom of the app's it is about.
        subject -> Nullable<Text>,
        /// The connect session that it is about.
        connect_session_id -> Nullable<Uuid>,
        /// The link that it is about.
        link_id -> Nullable<Uuid>,
        /// The Zoom account that it is about.
        zoom_account_id -> Nullable<Text>,
        /// The Zoom user that it is about.
        zoom_user_id -> Nullable<Text>,
    }
}

diesel::table! {
    /// What the bot says: what is wanted of each message, and how far Zoom has come with it.
    bot_messages (id) {
        /// The id that the app knows.
        id -> Uuid,
        /// What it was said for, such as api: with the name of the API key and the Idempotency-Key; there is one message for each.
        origin -> Text,
        /// SHA-256 of the request for it, sealed: tells a repetition from another request with the same origin.
        request_sealed -> Binary,
        /// The Zoom account in which it is said; the lane of its job, and whose key seals it.
        zoom_account_id -> Text,
        /// The link that it is about; null where none is known.
        link_id -> Nullable<Uuid>,
        /// Whom of the app's it is about; null where there is no link.
        subject -> Nullable<Text>,
        /// Zoom's address of the channel or user that gets it.
        to_jid -> Text,
        /// Zoom's address of the user on whose behalf it is said; null where none is known.
        user_jid -> Nullable<Text>,
        /// Zoom's address of the bot.
        robot_jid -> Text,
        /// Zoom's id of the message that it answers; null where it stands alone.
        reply_to -> Nullable<Text>,
        /// The Zoom user who alone sees it in a channel; null where all do.
        visible_to_user -> Nullable<Text>,
        /// Whether Zoom reads its texts as Markdown.
        is_markdown -> Bool,
        /// The newest content, sealed; null once it shall be deleted.
        content_sealed -> Nullable<Binary>,
        /// The URL and token by which Zoom lets the bot answer once, sealed; null where there was none or it was used.
        callback_sealed -> Nullable<Binary>,
        /// When that ends.
        callback_expires_at -> Nullable<Timestamptz>,
        /// present: it shall be at Zoom with the newest content; deleted: it shall not.
        wanted -> Text,
        /// Counts the contents that were wanted, from 1.
        wanted_revision -> Int4,
        /// The content that Zoom has; 0 before the first.
        sent_revision -> Int4,
        /// pending: not at Zoom yet; sending: the first send has begun; sent: Zoom has it; deleted: it is not there any more; failed: what is wanted will not come to be; unsure: it was sent, no answer came, and it is not sent again.
        state -> Text,
        /// Zoom's id, by which it is edited and deleted; null before Zoom named one.
        zoom_message_id -> Nullable<Text>,
        /// The class of the last failure; null where there is none.
        error_class -> Nullable<Text>,
        /// The trace in which it was wanted (W3C Trace Context).
        traceparent -> Nullable<Text>,
        /// When it was first wanted.
        created_at -> Timestamptz,
        /// When it changed last; old ones are deleted.
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    /// The Zoom users who spoke to the bot, with their addresses. No names.
    bot_people (zoom_account_id, zoom_user_id) {
        /// The user's account.
        zoom_account_id -> Text,
        /// Zoom's user id, as Zoom writes it.
        zoom_user_id -> Text,
        /// The user's address in Team Chat.
        user_jid -> Text,
        /// The bot's address, as the user's client knows it.
        robot_jid -> Text,
        /// When the user was heard of last; forgotten after a while.
        seen_at -> Timestamptz,
    }
}

diesel::table! {
    /// What was said to the bot and told to the app, kept for some days so that the app can answer it.
    bot_turns (event_id) {
        /// The event by which the app was told.
        event_id -> Uuid,
        /// The account in which it was said.
        zoom_account_id -> Text,
        /// Who said it; null where Zoom does not say.
        zoom_user_id -> Nullable<Text>,
        /// The bot that it was said to.
        robot_jid -> Text,
        /// The conversation in which an answer belongs, as Zoom named it.
        to_jid -> Text,
        /// The JID of who said it.
        user_jid -> Nullable<Text>,
        /// The message that was acted on, or that it is.
        zoom_message_id -> Nullable<Text>,
        /// The message at whose thread an answer belongs; null where it stands alone.
        reply_to -> Nullable<Text>,
        /// Zoom's one-time URL and token for an answer, sealed under the account's key.
        callback_sealed -> Nullable<Binary>,
        /// When these end.
        callback_expires_at -> Nullable<Timestamptz>,
        /// When it was told.
        created_at -> Timestamptz,
    }
}

diesel::table! {
    /// One attempt to link, from the app's request to its end. No secret is kept in clear.
    connect_sessions (id) {
        /// The id that the app knows.
        id -> Uuid,
        /// Whom the app wants to link; only this subject may confirm (INV-6).
        subject -> Text,
        /// Where the browser goes after Zoom; checked against the configured prefixes.
        return_url -> Text,
        /// How far it has come.
        status -> Text,
        /// SHA-256 of the token in the connect URL.
        connect_token_hash -> Binary,
        /// SHA-256 of the OAuth state of the latest start; null once used.
        state_hash -> Nullable<Binary>,
        /// SHA-256 of the cookie of the browser that started last; null once used.
        cookie_hash -> Nullable<Binary>,
        /// The PKCE verifier (RFC 7636), sealed; null before a start and after the exchange began.
        pkce_verifier_sealed -> Nullable<Binary>,
        /// The authorization code, sealed, until the app confirms or the session ends.
        code_sealed -> Nullable<Binary>,
        /// SHA-256 of the ticket that the browser carries to the app; kept after the end to name a second use.
        ticket_hash -> Nullable<Binary>,
        /// The link that came of it.
        link_id -> Nullable<Uuid>,
        /// Why it ended without a link.
        refusal_reason -> Nullable<Text>,
        /// When the app asked.
        created_at -> Timestamptz,
        /// After this nothing of it works.
        expires_at -> Timestamptz,
        /// When a browser last opened the connect URL.
        started_at -> Nullable<Timestamptz>,
        /// When it was completed or refused.
        finished_at -> Nullable<Timestamptz>,
        /// Whether the app allows that links which stand in the way end.
        replace_existing -> Bool,
    }
}

diesel::table! {
    /// Each time an event was posted to the app, and what came of it.
    delivery_attempts (event_id, attempt) {
        /// The event that was posted.
        event_id -> Uuid,
        /// Counts from 1.
        attempt -> Int4,
        /// When the request began.
        started_at -> Timestamptz,
        /// How long the answer took, in milliseconds.
        duration_ms -> Int4,
        /// The HTTP status of the answer; null when there was none.
        status_code -> Nullable<Int2>,
        /// Why there was no answer; null when there was one.
        error_class -> Nullable<Text>,
    }
}

diesel::table! {
    /// Every outside host that the region's processes called through the fence, and those that the fence refused, hour by hour.
    egress_contacts (hour, outcome, host, port, purpose, reason) {
        /// The beginning of the hour in which it was written down; a process writes every minute.
        hour -> Timestamptz,
        /// let_out: a setting allows the host; refused: none does.
        outcome -> Text,
        /// The host's name or address; (others) for refused ones beyond a bound.
        host -> Text,
        /// Its port; 0 for refused calls.
        port -> Int4,
        /// What the client was for, such as zoom_api; empty for refused calls.
        purpose -> Text,
        /// Why the fence refused; empty for calls that it let out.
        reason -> Text,
        /// How many calls.
        calls -> Int8,
        /// How many of them had no answer.
        failed -> Int8,
        /// The size of the bodies that were sent, in bytes.
        sent_bytes -> Int8,
        /// The size of the bodies that were received, in bytes.
        received_bytes -> Int8,
    }
}

diesel::table! {
    /// What the app is told, written in the transaction that made it true.
    events (id) {
        /// The event's id, also its webhook-id; the same for every attempt.
        id -> Uuid,
        /// The order in which a mailbox delivers, and the cursor of the list.
        sequence -> Int8,
        /// The ordered queue that it belongs to: a link's id, a connect session's, or one made of the Zoom user who speaks to the bot.
        mailbox -> Uuid,
        /// Such as recording.stored.
        #[sql_name = "type"]
        type_ -> Text,
        /// The version of the shape of its data.
        version -> Int2,
        /// Whom it is about; null for what an unlinked Zoom user said to the bot.
        subject -> Nullable<Text>,
        /// When it became true.
        occurred_at -> Timestamptz,
        /// Its data as JSON, sealed under the Zoom account's key.
        data_sealed -> Binary,
        /// The trace that made it (W3C Trace Context).
        traceparent -> Nullable<Text>,
        /// Whether the app has answered 2xx.
        status -> Text,
        /// How many deliveries were tried.
        attempts -> Int4,
        /// When the app answered 2xx.
        delivered_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    /// The OAuth tokens behind a link.
    grants (link_id) {
        /// The link that they serve.
        link_id -> Uuid,
        /// The access token, sealed.
        access_token_sealed -> Binary,
        /// The refresh token, sealed; null where Zoom gave none.
        refresh_token_sealed -> Nullable<Binary>,
        /// When the access token ends.
        access_expires_at -> Timestamptz,
        /// The validated base URL for API calls with this grant.
        api_url -> Text,
        /// Counts the rotations; an update names the generation that it replaces.
        generation -> Int8,
        /// When the tokens were received.
        refreshed_at -> Timestamptz,
        /// fresh: the refresh token is Zoom's latest; unsure: an answer was lost, so Zoom may have replaced it; ended: Zoom refused it.
        state -> Text,
        /// Who may ask Zoom for the next pair; null while nobody does.
        refresh_lease_token -> Nullable<Uuid>,
        /// When others may ask.
        refresh_lease_expires_at -> Nullable<Timestamptz>,
        /// When the request under way was begun; left behind by a process that died, whose answer is lost.
        refresh_started_at -> Nullable<Timestamptz>,
        /// How many refreshes failed since the last one that succeeded.
        refresh_failures -> Int4,
        /// Zoom is not asked again before this; null when it may be asked at once.
        refresh_not_before -> Nullable<Timestamptz>,
        /// When the present access token was handed out for the first time, or a former one; null when none ever was.
        last_used_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    /// What Zoom sent and was told 2xx for (INV-2).
    inbox (id) {
        /// Domicile's own id of the delivery.
        id -> Uuid,
        /// Which of the two endpoints took it.
        endpoint -> Text,
        /// Tells a duplicate, with the endpoint: the event's time in milliseconds (6 bytes), then 26 bytes of the SHA-256 of the raw body. Time first, so that new entries lie together in the index.
        digest -> Binary,
        /// pending: waits for its handlers; dispatched: handled; quarantined: kept with a reason, handled by nobody.
        status -> Text,
        /// Zoom's event name; null where the body named none.
        event_type -> Nullable<Text>,
        /// The account that the body names, for routing.
        zoom_account_id -> Nullable<Text>,
        /// The user whom the body names, for routing.
        zoom_user_id -> Nullable<Text>,
        /// The Marketplace app that the body names, if any.
        zoom_client_id -> Nullable<Text>,
        /// x-zm-request-id, to correlate; it is not signed and decides nothing.
        zoom_request_id -> Nullable<Text>,
        /// The trace in which it arrived (W3C Trace Context).
        traceparent -> Nullable<Text>,
        /// When it happened, as Zoom says.
        event_at -> Nullable<Timestamptz>,
        /// When it arrived.
        received_at -> Timestamptz,
        /// The raw body, sealed under its Zoom account's key.
        body_sealed -> Binary,
        /// The size of the raw body, before coding and sealing.
        body_size_bytes -> Int4,
        /// How many dispatches of it failed.
        attempts -> Int2,
        /// Not dispatched before this.
        due_at -> Timestamptz,
        /// When it was dispatched or quarantined.
        finished_at -> Nullable<Timestamptz>,
        /// Why it is in quarantine, or the class of the last failure.
        reason -> Nullable<Text>,
        /// How the body was coded before it was sealed. identity: not at all; zstd-1: Zstandard with the first dictionary.
        body_encoding -> Text,
    }
}

diesel::table! {
    /// Background work that is not finished; a finished job has no row.
    jobs (id) {
        /// Identifies the job in logs and for operators.
        id -> Uuid,
        /// Which handler runs it.
        kind -> Text,
        /// What it is about, such as a file's id; the handler reads everything else again.
        key -> Text,
        /// Whose trouble it shares, such as a Zoom account's: one lane never takes all workers of a kind.
        lane -> Nullable<Text>,
        /// queued: waits for its due time; leased: a worker holds it; quarantined: spent, waits for an operator.
        status -> Text,
        /// Asked for once more while leased, so it is queued again when it finishes.
        again -> Bool,
        /// How often it was leased since it last succeeded.
        attempts -> Int4,
        /// Not leased before this.
        due_at -> Timestamptz,
        /// The worker process that holds it.
        lease_owner -> Nullable<Uuid>,
        /// The fencing token: who does not present it cannot finish, fail or release the job (INV-5).
        lease_token -> Nullable<Uuid>,
        /// When others may take it, unless the worker's heartbeat moves it.
        lease_expires_at -> Nullable<Timestamptz>,
        /// The class of the last failure, never its text.
        last_error_class -> Nullable<Text>,
        /// The trace that asked for it (W3C Trace Context).
        traceparent -> Nullable<Text>,
        /// When it was first asked for.
        created_at -> Timestamptz,
        /// When its state changed last.
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    /// A subject linked to a Zoom user or, for an organisation, to a Zoom account.
    links (id) {
        /// The id that the app knows.
        id -> Uuid,
        /// Whom the app linked.
        subject -> Text,
        /// The Marketplace app that was authorized.
        zoom_client_id -> Text,
        /// Zoom's account id; routes events (INV-7).
        zoom_account_id -> Text,
        /// Zoom's user id; null when the link is to the whole account.
        zoom_user_id -> Nullable<Text>,
        /// The home cluster that the token answer named, such as eu; null where Zoom named none.
        zoom_cluster -> Nullable<Text>,
        /// Whether its grant works.
        status -> Text,
        /// What the user granted, as Zoom listed it.
        scopes -> Array<Text>,
        /// When it became active for the first time.
        created_at -> Timestamptz,
        /// When it changed last.
        updated_at -> Timestamptz,
        /// When it ended.
        revoked_at -> Nullable<Timestamptz>,
        /// Why it needs a new authorization; it says nothing while the status is another, because older versions do not clear it.
        reauthorization_reason -> Nullable<Text>,
    }
}

diesel::table! {
    /// One file of a recording.
    recording_files (id) {
        /// The id that the app knows.
        id -> Uuid,
        /// The recording that it belongs to.
        recording_id -> Uuid,
        /// Zoom's id of the file, or the name that stands for it where Zoom gave none.
        zoom_file_id -> Text,
        /// Zoom's file_type, such as MP4 or TRANSCRIPT; new values may come.
        kind -> Text,
        /// The file name extension in lower case, without a dot.
        extension -> Text,
        /// Zoom's recording_type, such as shared_screen_with_speaker_view; new values may come.
        recording_type -> Nullable<Text>,
        /// Whether its bytes are in the region's storage.
        status -> Text,
        /// When its recording began.
        recorded_from -> Nullable<Timestamptz>,
        /// When its recording ended.
        recorded_to -> Nullable<Timestamptz>,
        /// The size that Zoom announced; null where it announced none.
        announced_size_bytes -> Nullable<Int8>,
        /// Where Zoom serves it, sealed; null once stored.
        download_url_sealed -> Nullable<Binary>,
        /// The event's download token, sealed; null once stored or where the event had none.
        download_token_sealed -> Nullable<Binary>,
        /// The key that the attempt under way writes to; what a dead attempt left there is deleted by the next one.
        attempt_key -> Nullable<Text>,
        /// Its key in the object storage.
        object_key -> Nullable<Text>,
        /// The size of the stored object.
        size_bytes -> Nullable<Int8>,
        /// SHA-256 of the stored bytes, which are exactly those that Zoom served.
        sha256 -> Nullable<Binary>,
        /// The media type for serving it, which follows from its extension.
        content_type -> Nullable<Text>,
        /// Why the last attempt to fetch it failed.
        failure_class -> Nullable<Text>,
        /// When Zoom first told of it.
        created_at -> Timestamptz,
        /// When it changed last.
        updated_at -> Timestamptz,
        /// When its bytes were committed.
        stored_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    /// One meeting instance's recording, as one link sees it.
    recordings (id) {
        /// The id that the app knows.
        id -> Uuid,
        /// The link that it belongs to.
        link_id -> Uuid,
        /// The account under whose key its personal data is sealed.
        zoom_account_id -> Text,
        /// Zoom's id of the meeting instance.
        meeting_uuid -> Text,
        /// Zoom's meeting number, which recurring instances share.
        meeting_id -> Nullable<Int8>,
        /// The Zoom user who hosted.
        host_id -> Nullable<Text>,
        /// The meeting's topic, sealed.
        topic_sealed -> Nullable<Binary>,
        /// When the recording began: the earliest start of a file, else the meeting's.
        started_at -> Nullable<Timestamptz>,
        /// Follows from its files.
        status -> Text,
        /// When Zoom first told of it.
        created_at -> Timestamptz,
        /// When it or one of its files changed last.
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    /// Whose each of the region's key-encryption keys is, said in a way that nobody without the key can forge.
    region_key_marks (region_key_id) {
        /// The key's id in DOMICILE_VAULT_KEYS.
        region_key_id -> Text,
        /// What the key authenticates with the mark, as it does with the id of a data key.
        id -> Uuid,
        /// The region's id, padded to the size of a data key, wrapped by this key.
        region_id_sealed -> Binary,
        /// When a process first started with this key.
        marked_at -> Timestamptz,
    }
}

diesel::table! {
    /// Whose database this is: one row, written at the first start and never changed.
    region_mark (singleton) {
        /// Always true, so that there is one row at most.
        singleton -> Bool,
        /// The region; a process of another one refuses to start.
        region_id -> Text,
        /// When the first process started on this database.
        marked_at -> Timestamptz,
    }
}

diesel::table! {
    /// How old the code may be that works with this schema.
    schema_floor (singleton) {
        /// True: there is one row.
        singleton -> Bool,
        /// A migration that all code must know which works with this schema.
        version -> Text,
    }
}

diesel::table! {
    /// Data keys, one live key for each Zoom account; destroying it erases what it sealed (INV-8).
    vault_keys (id) {
        /// Stands in front of each ciphertext that the key sealed.
        id -> Uuid,
        /// The Zoom account whose data it seals; null for the region's own short-lived data.
        zoom_account_id -> Nullable<Text>,
        /// Which of the region's key-encryption keys wraps it.
        region_key_id -> Text,
        /// The data key, wrapped; null once destroyed.
        wrapped_key -> Nullable<Binary>,
        /// When it was made.
        created_at -> Timestamptz,
        /// When it was destroyed, for ever.
        destroyed_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    /// When Zoom was last heard of. Zoom disables a subscription after six challenges in vain and says so to the app's owner only.
    zoom_sightings (endpoint, kind, zoom_account_id) {
        /// Where it was heard.
        endpoint -> Text,
        /// challenge: the endpoint was asked to prove itself; event: an event was kept.
        kind -> Text,
        /// The account of the events; empty for challenges and for events that name none.
        zoom_account_id -> Text,
        /// The latest time; written some seconds late.
        last_at -> Timestamptz,
    }
}

diesel::joinable!(bot_messages -> links (link_id));
diesel::joinable!(bot_turns -> events (event_id));
diesel::joinable!(delivery_attempts -> events (event_id));
diesel::joinable!(grants -> links (link_id));
diesel::joinable!(recording_files -> recordings (recording_id));
diesel::joinable!(recordings -> links (link_id));

diesel::allow_tables_to_appear_in_same_query!(
    admitted_accounts,
    audit_entries,
    bot_messages,
    bot_people,
    bot_turns,
    connect_sessions,
    delivery_attempts,
    egress_contacts,
    events,
    grants,
    inbox,
    jobs,
    links,
    recording_files,
    recordings,
    region_key_marks,
    region_mark,
    schema_floor,
    vault_keys,
    zoom_sightings
);
