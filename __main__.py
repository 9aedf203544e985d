"""The Pulumi program: reads the settings of the stack, wires the components, exports the outputs."""

import gc

import pulumi

gc.disable()  # of the seconds that this program runs, passes over the SDK's many objects would be a tenth

from pulumi_slipway.early import start_plugins  # noqa: E402

start_plugins()  # they start while the rest is loaded

from pulumi_slipway.programs import launch  # noqa: E402
from pulumi_slipway.settings import load_settings  # noqa: E402

try:
    stack = launch(load_settings())
except ValueError as error:
    # a mistake in the settings: one message, no traceback; no resource has been asked for yet
    raise pulumi.RunError(str(error)) from None

pulumi.export("url", stack.app.url)
pulumi.export("release", stack.app.release)
pulumi.export("certificate", stack.app.certificate)
pulumi.export("host", stack.server.host)
pulumi.export("address", stack.server.address)
# what `slipway releases`, `slipway rollback` and its like reach the server by
pulumi.export("app", stack.app.name)
pulumi.export("deploy_key", stack.server.private_key)
