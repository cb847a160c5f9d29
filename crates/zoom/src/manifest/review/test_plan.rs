//! `test-plan.md`: every scope, step by step, from the installation to the removal.

use std::fmt::Write as _;

use domicile_region::file::AppUsage;

use super::Values;
use super::uses::use_of;

pub(super) fn test_plan(values: &Values<'_>) -> String {
    let Values {
        region, app, host, ..
    } = values;
    let mut steps = Steps::default();
    let who = match app.usage {
        AppUsage::UserManaged => "the Zoom user",
        AppUsage::AdminManaged => "an administrator of the Zoom account",
    };
    steps.part("Add the app");
    steps.step(&format!(
        "Open <{}>. The page names the region {} and says what choosing it means.",
        app.install_url, region.region.name
    ));
    steps.step(&format!(
        "Sign in to the application at <{}> with the test account, and connect Zoom there.",
        region.app.start_url
    ));
    steps.step(&format!(
        "Zoom asks {who} for consent. The scopes on that page are those of scopes.md. Allow."
    ));
    steps.step(&format!(
        "The browser comes back to `https://{host}` and from there to the application, which shows the account as linked."
    ));
    steps.step(
        "Decline once, in another browser: the application says that nothing was linked, and offers to try again.",
    );
    if let Some(chat) = &app.chat {
        steps.part("Talk to the bot");
        if let Some(welcome) = &chat.welcome {
            steps.step(&format!(
                "In Team Chat, the bot has written: \"{}\".",
                welcome.title
            ));
        }
        let command = &chat.slash_command.command;
        for hint in &chat.slash_command.hints {
            steps.step(&format!(
                "Write `/{command} {}`. {}.",
                hint.usage, hint.description
            ));
        }
        if chat.slash_command.hints.is_empty() {
            steps.step(&format!("Write `/{command}`. The bot answers."));
        }
        if chat.slash_command.add_to_channel {
            steps.step(&format!(
                "Add the bot to a channel and write `/{command}` there. It answers in the channel."
            ));
        }
    }
    steps.part("Every scope");
    for scope in &app.scopes {
        let step = use_of(&scope.scope).map_or_else(
            || {
                format!(
                    "{} The application's documentation shows where.",
                    sentence(&scope.reason)
                )
            },
            |it| it.step.to_owned(),
        );
        let optional = if scope.optional {
            " It is optional: leave it out at consent once, and all else still works."
        } else {
            ""
        };
        steps.step(&format!("`{}`: {step}{optional}", scope.scope));
    }
    steps.part("Remove the app");
    steps.step(
        "In the Zoom App Marketplace, under Manage, Added Apps, remove the app. The next call with the link's tokens fails, and \
         the application shows that the link needs a new authorization.",
    );
    steps.step("Connect again from the first step: a removal hinders no new connection.");
    steps.step(
        "Unlink inside the application instead: the authorization ends at Zoom too, and what was stored is \
         deleted as data-deletion.md says.",
    );
    let documentation = &region.zoom.listing.documentation_url;
    format!(
        "# Test plan: {name}\n\nIn English, for the reviewer. The first submission is tested with the production client, an \
         update with the development one; both reach `{host}`{development}. Test accounts are in the submission. The \
         user's documentation is at <{documentation}>.\n{steps}",
        name = app.name,
        development = match &app.development {
            Some(development) => format!(", the development one `{}`", development.public_url),
            None => String::new(),
        },
        steps = steps.text,
    )
}

fn sentence(text: &str) -> String {
    let text = text.trim();
    if text.ends_with(['.', '!', '?']) {
        text.to_owned()
    } else {
        format!("{text}.")
    }
}

/// Steps that are numbered through all parts.
#[derive(Default)]
struct Steps {
    text: String,
    number: usize,
}

impl Steps {
    fn part(&mut self, title: &str) {
        // Writing to a text cannot fail.
        let _ = write!(self.text, "\n## {title}\n\n");
    }

    fn step(&mut self, text: &str) {
        self.number += 1;
        let _ = writeln!(self.text, "{}. {text}", self.number);
    }
}
