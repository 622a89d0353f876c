"""Networks that go on from step to step, and from decision to decision."""
