# Nothing is deleted by accident, and nothing changes unseen. Project and region come from outside, as TF_VAR_project and
# TF_VAR_region, or are named here.
environment         = "prod"
deletion_protection = true
force_destroy       = false
soft_delete_days    = 7
approval            = { apply = true, deploy = true }

# Who is told: owners = { platform = { email = "…" }, team-bikes = { email = "…" } }
owners = {}
