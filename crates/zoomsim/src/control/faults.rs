//! Ordering faults, and reading the webhook log.

use crate::control::ControlError;
use crate::model::fault::{Fault, NewFault};
use crate::model::webhook::WebhookDelivery;
use crate::sim::Sim;

impl Sim {
    /// Orders a fault.
    pub fn order_fault(&self, order: NewFault) -> Result<Fault, ControlError> {
        order
            .check()
            .map_err(|text| ControlError::Invalid(text.to_owned()))?;
        Ok(self.update(|state| {
            let fault = Fault {
                id: state.next_number(),
                remaining: order.times,
                order,
            };
            state.faults.push(fault.clone());
            fault
        }))
    }

    /// The orders that have not struck as often as they should.
    pub fn faults(&self) -> Vec<Fault> {
        self.read(|state| state.faults.clone())
    }

    /// Takes an order back.
    pub fn cancel_fault(&self, id: u64) -> Result<(), ControlError> {
        self.update(|state| {
            let before = state.faults.len();
            state.faults.retain(|fault| fault.id != id);
            if state.faults.len() == before {
                Err(ControlError::UnknownFault)
            } else {
                Ok(())
            }
        })
    }

    /// Takes all orders back.
    pub fn cancel_all_faults(&self) {
        self.update(|state| state.faults.clear());
    }

    /// What was sent, oldest first.
    pub fn webhook_log(&self) -> Vec<WebhookDelivery> {
        self.read(|state| state.deliveries.iter().cloned().collect())
    }
}
