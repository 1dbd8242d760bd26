"""The operator's side: inventories, playbooks, and what goes to the manager."""
