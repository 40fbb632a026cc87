"""How far rules without a model get, and which labels they make look wrong."""
