// Parameter types shared by several modules.
@export()
@description('Tags of all resources.')
type tags = {
  'azd-env-name': string
}

@export()
@description('A key of a key vault that encrypts a service, and the identity by which the service uses it.')
type customerKey = {
  identityId: string
  vaultUrl: string
  name: string
}
