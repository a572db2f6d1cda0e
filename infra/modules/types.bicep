// Types of parameters that several modules share.
@export()
@description('Tags of every resource.')
type tags = {
  'azd-env-name': string
}
