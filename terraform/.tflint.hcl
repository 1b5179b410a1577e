# make bin/tflint builds the linter. Its ruleset for Google finds nothing that the checks of internal/iac do not.
plugin "terraform" {
  enabled = true
  preset  = "all"
}

# Files are called after what they make, and a module has main.tf where it makes one thing.
rule "terraform_standard_module_structure" {
  enabled = false
}
