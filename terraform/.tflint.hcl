# tflint's rules for Terraform itself: what is declared is used, described, named and pinned.
# Values of Google's resources are judged by internal/iac/policy, over a plan.
plugin "terraform" {
  enabled = true
  preset  = "all"
}

# Files are cut by entity (functions.tf, events.tf, …), not into main.tf.
rule "terraform_standard_module_structure" {
  enabled = false
}
