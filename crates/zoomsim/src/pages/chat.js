// Shows what is new in the conversation, without taking away what somebody is about to write or press.
"use strict";
const messages = document.getElementById("messages");
if (messages) {
    const url = "/chat/messages?" + messages.dataset.query;
    let last = null;
    const toEnd = () => { messages.scrollTop = messages.scrollHeight; };
    const look = async () => {
        try {
            const answer = await fetch(url, { cache: "no-store" });
            const text = await answer.text();
            const busy = messages.contains(document.activeElement) && document.activeElement !== messages;
            if (answer.ok && text !== last && !busy && !document.hidden) {
                const atEnd = messages.scrollHeight - messages.scrollTop - messages.clientHeight < 40;
                if (last !== null) messages.innerHTML = text;
                last = text;
                if (atEnd) toEnd();
            }
        } catch {
            // The simulator is stopping or gone; the next look will tell.
        }
        setTimeout(look, 1000);
    };
    toEnd();
    look();
}
