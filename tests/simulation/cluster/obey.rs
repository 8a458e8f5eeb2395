//! What a broker does when a controller speaks, as `handlers::inter_broker` does it.

use super::bug::Bug;
use super::network::Body;
use super::world::World;
use ottla::common::{BrokerId, ErrorCode, TopicPartition};
use ottla::controller::effect::ControlBody;
use ottla::controller::{ControlRequest, ControlResponse};
use ottla::handlers::inter_broker::{admit, leader_and_isr, stop_replica};
use ottla::protocol::messages::leader_and_isr::{LeaderAndIsrRequest, LeaderAndIsrResponse};
use ottla::protocol::messages::stop_replica::{StopReplicaRequest, StopReplicaResponse};
use ottla::protocol::messages::update_metadata::{UpdateMetadataRequest, UpdateMetadataResponse};
use ottla::replication::replica_manager::TopicConfigs;

impl World {
    pub fn obey(
        &mut self,
        at: usize,
        from: BrokerId,
        token: u64,
        request: &ControlRequest,
    ) -> Result<(), String> {
        let response = match &request.body {
            ControlBody::LeaderAndIsr(body) => {
                ControlResponse::LeaderAndIsr(self.lead_or_follow(at, body, request.version)?)
            }
            ControlBody::StopReplica(body) => ControlResponse::StopReplica(self.stop_replicas(at, body)?),
            ControlBody::UpdateMetadata(body) => {
                ControlResponse::UpdateMetadata(self.update_metadata(at, body)?)
            }
        };
        self.send(at as BrokerId, from, Body::Controlled { token, response: Box::new(response) });
        Ok(())
    }

    fn admit(
        &mut self,
        at: usize,
        broker_epoch: i64,
        controller_epoch: i32,
    ) -> Result<Result<(), ErrorCode>, String> {
        let no_controller_epoch = self.has(Bug::ControllerEpochIgnored);
        let no_broker_epoch = self.has(Bug::BrokerEpochIgnored);
        let broker = self.broker(at);
        let controller_told = if no_controller_epoch {
            broker.controller_epoch.max(controller_epoch)
        } else {
            controller_epoch
        };
        let broker_told = if no_broker_epoch { -1 } else { broker_epoch };
        let admitted = admit(&broker.replicas, broker.epoch, broker_told, controller_told);
        if admitted.is_ok() {
            if controller_epoch < broker.controller_epoch {
                return Err(format!(
                    "broker {at} obeyed the controller of epoch {controller_epoch} after that of epoch {}",
                    broker.controller_epoch
                ));
            }
            if broker_epoch < broker.epoch {
                return Err(format!(
                    "broker {at} of epoch {} obeyed what was for epoch {broker_epoch}",
                    broker.epoch
                ));
            }
            broker.controller_epoch = controller_epoch;
        }
        Ok(admitted)
    }

    fn lead_or_follow(
        &mut self,
        at: usize,
        request: &LeaderAndIsrRequest,
        version: i16,
    ) -> Result<LeaderAndIsrResponse, String> {
        if let Err(code) = self.admit(at, request.broker_epoch, request.controller_epoch)? {
            return Ok(LeaderAndIsrResponse { error_code: code.code(), ..Default::default() });
        }
        let assignments = leader_and_isr::assignments(request);
        let applied = self.broker(at).replicas.apply(assignments, &TopicConfigs::new());
        let accepted: Vec<TopicPartition> =
            applied.iter().filter(|(_, _, result)| result.is_ok()).map(|(name, _, _)| name.clone()).collect();
        for name in &accepted {
            let (role, epoch) = self.broker(at).partition(name.partition).map_or((None, -1), |partition| {
                partition.with_state(|state| (Some(state.machine.role()), state.machine.leader_epoch()))
            });
            self.trace(|| format!("broker {at} in {name}: {role:?} in epoch {epoch}"));
        }
        self.follow(at, &accepted);
        for name in &accepted {
            self.check_role(at, name.partition)?;
        }
        Ok(leader_and_isr::answer(applied, version))
    }

    fn stop_replicas(
        &mut self,
        at: usize,
        request: &StopReplicaRequest,
    ) -> Result<StopReplicaResponse, String> {
        if let Err(code) = self.admit(at, request.broker_epoch, request.controller_epoch)? {
            return Ok(StopReplicaResponse { error_code: code.code(), ..Default::default() });
        }
        let stopped = self.broker(at).replicas.stop(stop_replica::stops(request));
        for (name, _) in stopped.iter().filter(|(_, result)| result.is_ok()) {
            self.stop_following(at, name);
        }
        Ok(stop_replica::answer(stopped))
    }

    fn update_metadata(
        &mut self,
        at: usize,
        request: &UpdateMetadataRequest,
    ) -> Result<UpdateMetadataResponse, String> {
        let mut response = UpdateMetadataResponse::default();
        match self.admit(at, request.broker_epoch, request.controller_epoch)? {
            Err(code) => response.error_code = code.code(),
            Ok(()) => {
                self.broker(at).metadata.update(request);
                self.leaders_are_known(at);
            }
        }
        Ok(response)
    }
}
