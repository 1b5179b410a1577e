# The bucket of the state and the prefix of the environment come with init: make plan-terraform STATE=BUCKET. This block
# stands alone, so that a copy without this file can be planned without an account.
terraform {
  backend "gcs" {}
}
