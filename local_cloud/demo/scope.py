"""Name the subscription, the resource group and the vault of the demo's Azure resources."""

SUBSCRIPTION = "3b7c2d5e-90aa-4a31-8f0e-5f6f2f1f7c01"
GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-integration/providers"
#: The vault with the secrets that applications read.
APPLICATION_VAULT = "kv-contoso-apps"
