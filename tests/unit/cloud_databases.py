"""What clouds answer about databases of theirs."""

from __future__ import annotations

import json
from typing import Any

from tests.unit.mocks import Engine, observation

PEM = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"

OUTPUTS: dict[str, dict[str, Any]] = {
    "aws:rds/instance:Instance": {
        "address": "app.abc.eu-central-1.rds.amazonaws.com",
        "arn": "arn:aws:rds:eu-central-1:123456789012:db:app",
    },
    "aws:rds/subnetGroup:SubnetGroup": {"name": "subnets"},
    "aws:rds/parameterGroup:ParameterGroup": {"name": "parameters"},
    "aws:lightsail/database:Database": {
        "masterEndpointAddress": "ls-app.abc.eu-central-1.rds.amazonaws.com",
        "masterEndpointPort": 5432,
        "arn": "arn:aws:lightsail:eu-central-1:123456789012:RelationalDatabase/1",
    },
    "digitalocean:index/databaseCluster:DatabaseCluster": {
        "privateHost": "private-app.db.ondigitalocean.com",
        "host": "app.db.ondigitalocean.com",
        "port": 25060,
        "user": "doadmin",
        "password": "planted-admin-password",
    },
    "digitalocean:index/databaseUser:DatabaseUser": {"password": "planted-user-password"},
    "linode:index/databasePostgresqlV2:DatabasePostgresqlV2": {
        "hostPrimary": "app.linodedb.net",
        "port": 24966,
        "rootUsername": "akmadmin",
        "rootPassword": "planted-root-password",
        "caCert": PEM,
    },
    "command:remote:Command": {
        "stdout": json.dumps({"ok": True, "port": 5432, "connections": 48, "certificate": "PEM"})
    },
}
ANSWERS: dict[str, dict[str, Any]] = {
    "aws:ec2/getVpc:getVpc": {"id": "vpc-default"},
    "aws:ec2/getSubnets:getSubnets": {"ids": ["subnet-a", "subnet-b"]},
    "aws:ec2/getSubnet:getSubnet": {"vpcId": "vpc-own"},
    "digitalocean:index/getDatabaseCa:getDatabaseCa": {"certificate": PEM},
}


def prepare_databases(engine: Engine) -> None:
    """Let the engine answer as the clouds do, and a server as one that has its database."""
    engine.outputs |= {token: dict(outputs) for token, outputs in OUTPUTS.items()}
    engine.answers |= {token: dict(answer) for token, answer in ANSWERS.items()}
    engine.observation = {**observation(), "present": True, "serial": 7}
