mock_provider "google" {
  mock_resource "google_service_account" {
    defaults = {
      email  = "millrace-mock@millrace-test.iam.gserviceaccount.com"
      member = "serviceAccount:millrace-mock@millrace-test.iam.gserviceaccount.com"
    }
  }
}

variables {
  project  = "millrace-test"
  region   = "europe-west1"
  name     = "predict-the-longest-of-names-x"
  labels   = { owner = "team-air", model = "the-longest-of-names-x" }
  deployer = "serviceAccount:deployer@millrace-test.iam.gserviceaccount.com"
}

run "the_longest_name_fits" {
  command = apply

  assert {
    condition     = length(google_service_account.this.account_id) == 30 && google_cloud_run_v2_service.this.name == var.name
    error_message = "the account is ${google_service_account.this.account_id}"
  }
  assert {
    condition     = google_cloud_run_v2_service.this.template[0].service_account == google_service_account.this.email
    error_message = "the service runs as another account"
  }
  assert {
    condition     = google_cloud_run_v2_service.this.labels == tomap({ owner = "team-air", model = "the-longest-of-names-x", managed-by = "millrace" })
    error_message = "labels: ${jsonencode(google_cloud_run_v2_service.this.labels)}"
  }
}

run "the_placeholder_is_served_without_command_or_probe" {
  command = apply

  assert {
    condition = alltrue([
      google_cloud_run_v2_service.this.template[0].containers[0].image == "us-docker.pkg.dev/cloudrun/container/hello",
      google_cloud_run_v2_service.this.template[0].containers[0].command == null,
      length(google_cloud_run_v2_service.this.template[0].containers[0].startup_probe) == 0,
    ])
    error_message = jsonencode(google_cloud_run_v2_service.this.template[0].containers[0])
  }
}

run "defaults_are_the_manifests" {
  command = apply

  assert {
    condition = alltrue([
      google_cloud_run_v2_service.this.template[0].timeout == "60s",
      google_cloud_run_v2_service.this.template[0].max_instance_request_concurrency == 80,
      google_cloud_run_v2_service.this.template[0].scaling[0].min_instance_count == 0,
      google_cloud_run_v2_service.this.template[0].scaling[0].max_instance_count == 10,
      google_cloud_run_v2_service.this.template[0].containers[0].resources[0].limits == tomap({ cpu = "1", memory = "256Mi" }),
      google_cloud_run_v2_service.this.deletion_protection,
    ])
    error_message = jsonencode(google_cloud_run_v2_service.this.template)
  }
}

run "only_callers_and_the_deployer_get_in" {
  command = apply

  variables {
    invokers = ["serviceAccount:shop@millrace-test.iam.gserviceaccount.com", "group:air@example.com"]
  }

  assert {
    condition     = toset([for m in google_cloud_run_v2_service_iam_member.invoker : m.member]) == var.invokers && alltrue([for m in google_cloud_run_v2_service_iam_member.invoker : m.role == "roles/run.servicesInvoker"])
    error_message = "callers: ${join(", ", [for m in google_cloud_run_v2_service_iam_member.invoker : m.member])}"
  }
  assert {
    condition     = google_cloud_run_v2_service_iam_member.deployer.member == var.deployer && google_service_account_iam_member.deployer.role == "roles/iam.serviceAccountUser"
    error_message = "the deployer may not deploy"
  }
}

run "a_connector" {
  command = apply

  variables {
    network = { connector = "projects/millrace-test/locations/europe-west1/connectors/c" }
  }

  assert {
    condition     = google_cloud_run_v2_service.this.template[0].vpc_access[0].connector == var.network.connector && length(google_cloud_run_v2_service.this.template[0].vpc_access[0].network_interfaces) == 0
    error_message = jsonencode(google_cloud_run_v2_service.this.template[0].vpc_access)
  }
}

run "a_subnetwork" {
  command = apply

  variables {
    network = { subnetwork = "projects/millrace-test/regions/europe-west1/subnetworks/s", egress = "ALL_TRAFFIC" }
  }

  assert {
    condition     = google_cloud_run_v2_service.this.template[0].vpc_access[0].network_interfaces[0].subnetwork == var.network.subnetwork && google_cloud_run_v2_service.this.template[0].vpc_access[0].egress == "ALL_TRAFFIC"
    error_message = jsonencode(google_cloud_run_v2_service.this.template[0].vpc_access)
  }
}

run "everybody_is_refused" {
  command = plan

  variables {
    invokers = ["allUsers"]
  }

  expect_failures = [var.invokers]
}

run "a_name_that_no_account_has_is_refused" {
  command = plan

  variables {
    name = "predict-the-longest-of-names-xx"
  }

  expect_failures = [var.name]
}

run "three_cpus_are_refused" {
  command = plan

  variables {
    cpu = "3"
  }

  expect_failures = [var.cpu]
}

run "a_part_of_a_cpu_takes_one_request" {
  command = plan

  variables {
    cpu = "0.5"
  }

  expect_failures = [var.concurrency]
}

run "memory_without_a_unit_is_refused" {
  command = plan

  variables {
    memory = "256"
  }

  expect_failures = [var.memory]
}

run "more_memory_than_there_is_is_refused" {
  command = plan

  variables {
    memory = "33Gi"
  }

  expect_failures = [var.memory]
}

run "a_scale_upside_down_is_refused" {
  command = plan

  variables {
    scale = { min = 11 }
  }

  expect_failures = [var.scale]
}

run "two_hours_are_refused" {
  command = plan

  variables {
    timeout = 7200
  }

  expect_failures = [var.timeout]
}

run "a_misspelt_ingress_is_refused" {
  command = plan

  variables {
    ingress = "INGRESS_TRAFFIC_INTERNAL"
  }

  expect_failures = [var.ingress]
}
