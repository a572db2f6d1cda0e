"""Name the demo's Azure subscription, its resource group, and the vault of its applications."""

SUBSCRIPTION = "3b7c2d5e-90aa-4a31-8f0e-5f6f2f1f7c01"
GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-integration/providers"
#: The vault with the secrets that applications read.
APPLICATION_VAULT = "kv-contoso-apps"
