"""AWS on loopback: moto's server, where it stands still made to move as ECS does.

    python aws.py PORT

moto keeps what it is told. What ECS would make of it is added here: tasks of a service run, unless an
image of theirs is called `sick`; tasks of their own end, with 1 where an image is called `broken`; tasks
of a service that is deleted drain, and a cluster stays while they do. Who asks for a service with an image
called `shy` gets no answer the first time, and none at all with one called `mute`. CloudFormation makes
alarms, tells outputs, and looks at conditions when it updates, too.
"""

import sys

from moto.cloudformation import models as cloudformation
from moto.cloudformation import parsing
from moto.cloudwatch import models as cloudwatch
from moto.core.common_models import CloudFormationModel
from moto.ecs import models as ecs
from moto.ecs.exceptions import ECSException
from moto.elbv2 import models as elbv2
from moto.moto_api import state_manager
from moto.server import main


def images(backend, definition):
    found = backend.describe_task_definition(definition)
    return [container["image"] for container in found.container_definitions]


def settled(backend, service):
    """What comes of a service a while after it was changed."""
    is_sick = any("sick" in image for image in images(backend, service.task_definition))
    service.running_count = 0 if is_sick else service.desired_count
    service.pending_count = service.desired_count - service.running_count
    primary = service.deployments[0]
    primary["taskDefinition"] = service.task_definition
    primary["runningCount"] = service.running_count
    primary["rolloutState"] = "IN_PROGRESS" if is_sick else "COMPLETED"
    service.events = [{"id": "1", "message": "(tasks failed health checks)"}] if is_sick else []


described = ecs.EC2ContainerServiceBackend.describe_services


def describe_services(self, cluster_str, service_names_or_arns):
    found, missing = described(self, cluster_str, service_names_or_arns)
    for service in found:
        if service.status == "ACTIVE":
            answers(self, service)
            settled(self, service)
    return found, missing


def answers(backend, service):
    names = " ".join(images(backend, service.task_definition))
    is_new = getattr(service, "asked_for", None) != service.task_definition
    service.asked_for = service.task_definition
    if "mute" in names or ("shy" in names and is_new):
        raise ECSException("ExpiredTokenException", "The security token is expired")


run = ecs.EC2ContainerServiceBackend.run_task


def run_task(self, *args, **kwargs):
    tasks = run(self, *args, **kwargs)
    for task in tasks:
        task._status = task.last_status = task.desired_status = "STOPPED"
        code = int(any("broken" in image for image in images(self, task.task_definition_arn)))
        task.stopped_reason = "Essential container in task exited"
        for container in task.containers:
            container.exitCode = code
    return tasks


deleted = ecs.EC2ContainerServiceBackend.delete_service


def delete_service(self, cluster_name, service_name, force):
    """One of its tasks drains; each look at it moves it on to its end."""
    service = deleted(self, cluster_name, service_name, force)
    network = {"awsvpcConfiguration": service.network_configuration["awsvpcConfiguration"]}
    definition = service.task_definition
    for task in run(self, cluster_name, definition, 1, None, "", None, "FARGATE", network):
        task.desired_status, task.last_status = "STOPPED", "DEACTIVATING"
    return service


state_manager.set_transition("ecs::task", {"progression": "manual", "times": 1})
ecs.EC2ContainerServiceBackend.delete_service = delete_service
ecs.EC2ContainerServiceBackend.describe_services = describe_services
ecs.EC2ContainerServiceBackend.run_task = run_task


@classmethod
def delete_cluster(cls, resource_name, cloudformation_json, account_id, region_name):
    backend = ecs.ecs_backends[account_id][region_name]
    if any(task.last_status != "STOPPED" for task in backend.list_tasks(resource_name)):
        raise ECSException("ClusterContainsTasksException", "Tasks are there")
    backend.delete_cluster(resource_name)


def list_clusters(self):
    return [cluster.arn for cluster in self.clusters.values() if cluster.status == "ACTIVE"]


@classmethod
def delete_target_group(cls, resource_name, cloudformation_json, account_id, region_name):
    elbv2.elbv2_backends[account_id][region_name].delete_target_group(resource_name)


ecs.Cluster.delete_from_cloudformation_json = delete_cluster
elbv2.FakeTargetGroup.delete_from_cloudformation_json = delete_target_group
ecs.EC2ContainerServiceBackend.list_clusters = list_clusters


apply = cloudformation.ChangeSet.apply


def apply_with_outputs(self):
    apply(self)
    self.stack.template_dict = self.template_dict
    self.stack.output_map = self.stack._create_output_map()


def parameter_list(self):
    """A list is told as it was given."""
    told = self.resource_map.resolved_parameters.items()
    return [
        {"ParameterKey": key, "ParameterValue": ",".join(it) if isinstance(it, list) else it}
        for key, it in told
    ]


diff = parsing.ResourceMap.build_resource_diff


def build_resource_diff(self, template, parameters=None):
    """What a condition decides on is looked at each time."""
    found = diff(self, template, parameters)
    for name, it in template["Resources"].items():
        if "Condition" in it and name in self._resource_json_map and name not in found["Modify"]:
            found["Modify"].append(name)
    return found


updated = parsing.parse_and_update_resource


def update_where_wanted(logical_id, resource_json, resources_map, account_id, region_name):
    condition = resource_json.get("Condition")
    is_wanted = not condition or resources_map.lazy_condition_map[condition]
    there = resources_map._parsed_resources.get(logical_id)
    if there and not is_wanted:
        resources_map._delete_resource(there, resource_json)
    if not (there and is_wanted):
        make = parsing.parse_and_create_resource
        return make(logical_id, resource_json, resources_map, account_id, region_name)
    changed = updated(logical_id, resource_json, resources_map, account_id, region_name)
    return changed or there


planned = cloudformation.CloudFormationBackend.create_change_set


def create_change_set(self, stack_name, *args, **kwargs):
    """A stack that was never begun is begun anew."""
    for id, stack in list(self.stacks.items()):
        if stack.name == stack_name and stack.status == "REVIEW_IN_PROGRESS":
            del self.stacks[id]
    return planned(self, stack_name, *args, **kwargs)


cloudformation.ChangeSet.apply = apply_with_outputs
cloudformation.CloudFormationBackend.create_change_set = create_change_set
cloudformation.Stack.parameter_list = property(parameter_list)
parsing.ResourceMap.build_resource_diff = build_resource_diff
parsing.parse_and_update_resource = update_where_wanted


class Alarm(CloudFormationModel):
    # moto files its models by their module.
    __module__ = "moto.cloudwatch.alarm"

    def __init__(self, name):
        self.name = name

    @property
    def physical_resource_id(self):
        return self.name

    @staticmethod
    def cloudformation_name_type():
        return "AlarmName"

    @staticmethod
    def cloudformation_type():
        return "AWS::CloudWatch::Alarm"

    @classmethod
    def create_from_cloudformation_json(
        cls, resource_name, cloudformation_json, account_id, region_name, **kwargs
    ):
        told = cloudformation_json["Properties"]
        cloudwatch.cloudwatch_backends[account_id][region_name].put_metric_alarm(
            name=told["AlarmName"],
            namespace=told.get("Namespace"),
            metric_name=told.get("MetricName"),
            metric_data_queries=[cls.part(part) for part in told.get("Metrics", [])],
            comparison_operator=told["ComparisonOperator"],
            evaluation_periods=told["EvaluationPeriods"],
            datapoints_to_alarm=told["DatapointsToAlarm"],
            period=told.get("Period"),
            threshold=told["Threshold"],
            statistic=told.get("Statistic"),
            description=told["AlarmDescription"],
            dimensions=told.get("Dimensions", []),
            alarm_actions=told.get("AlarmActions", []),
            treat_missing_data=told["TreatMissingData"],
        )
        return cls(told["AlarmName"])

    @staticmethod
    def part(told):
        """What an alarm looks at: an expression, or a statistic that is in one."""
        stat, statistic = told.get("MetricStat"), None
        if stat:
            of = stat["Metric"]
            dimensions = [cloudwatch.Dimension(it["Name"], it["Value"]) for it in of["Dimensions"]]
            metric = cloudwatch.Metric(of["MetricName"], of["Namespace"], dimensions)
            statistic = cloudwatch.MetricStat(metric, stat["Period"], stat["Stat"], None)
        return cloudwatch.MetricDataQuery(
            told["Id"], told.get("Label"), None, told["ReturnData"], told.get("Expression"), statistic
        )

    @classmethod
    def update_from_cloudformation_json(
        cls, original_resource, new_resource_name, cloudformation_json, account_id, region_name
    ):
        return cls.create_from_cloudformation_json(
            new_resource_name, cloudformation_json, account_id, region_name
        )

    @classmethod
    def delete_from_cloudformation_json(
        cls, resource_name, cloudformation_json, account_id, region_name
    ):
        cloudwatch.cloudwatch_backends[account_id][region_name].delete_alarms([resource_name])

    @classmethod
    def is_created(cls, properties):
        return True

    def delete(self, account_id, region_name):
        cloudwatch.cloudwatch_backends[account_id][region_name].delete_alarms([self.name])


main(["-H", "127.0.0.1", "-p", sys.argv[1]])
