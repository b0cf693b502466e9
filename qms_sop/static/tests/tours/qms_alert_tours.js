import {registry} from "@web/core/registry";

const tours = registry.category("web_tour.tours");

// From an alert to its run, and to the alert again; then maintenance is planned.
tours.add("qms_alert_operator_tour", {
    steps: () => [
        {
            content: "The alert fires, and has a run",
            trigger: ".o_data_row:contains(Firing):contains(Has a run) td[name=name]",
            run: "click",
        },
        {
            content: "Its labels are shown",
            trigger: "div[name=labels_html] .badge:contains(db1)",
        },
        {
            trigger: "button[name=action_open_run]",
            run: "click",
        },
        {
            content: "The run tells of the alert",
            trigger: "button[name=action_view_alerts]:contains(1 of 1)",
            run: "click",
        },
        {
            trigger: ".o_form_view h1:contains(Disk full)",
        },
        {
            content: "Go to the maintenance windows",
            trigger: "button[data-menu-xmlid='qms_sop.qms_alert_menu_root']",
            run: "click",
        },
        {
            trigger: "a[data-menu-xmlid='qms_sop.qms_maintenance_window_menu']",
            run: "click",
        },
        {
            trigger: ".o_breadcrumb:contains(Maintenance windows)",
        },
        {
            trigger: ".o_list_button_add",
            run: "click",
        },
        {
            trigger: ".o_form_view div[name=name] input",
            run: "edit New disks for db1",
        },
        {
            trigger: "div[name=reason] textarea",
            run: "edit The disks are exchanged",
        },
        {
            trigger: "div[name=matcher_ids] .o_field_x2many_list_row_add a",
            run: "click",
        },
        {
            trigger: "div[name=matcher_ids] .o_data_row div[name=label] input",
            run: "edit host",
        },
        {
            trigger: "div[name=matcher_ids] .o_data_row div[name=value] input",
            run: "edit db1",
        },
        {
            trigger: ".o_form_button_save",
            run: "click",
        },
        {
            content: "It is under way",
            trigger:
                ".o_statusbar_status button[aria-checked=true]:contains(Under way)",
        },
        {
            trigger: "button[name=action_end]",
            run: "click",
        },
        {
            trigger: ".modal .btn-primary",
            run: "click",
        },
        {
            trigger: ".o_statusbar_status button[aria-checked=true]:contains(Over)",
        },
    ],
});

// A source tells how it is called, what it would do, and gets a secret.
tours.add("qms_alert_manager_tour", {
    steps: () => [
        {
            trigger: ".o_data_row:contains(Plain JSON) td[name=name]",
            run: "click",
        },
        {
            content: "What to send is there to be copied",
            trigger: "div[name=example_config]:contains(/api/v1/alerts/generic)",
        },
        {
            trigger: "button[name=action_test]",
            run: "click",
        },
        {
            content: "The example would open a run",
            trigger: ".modal div[name=result] .alert-success:contains(A run of)",
        },
        {
            trigger: ".modal footer .btn-secondary",
            run: "click",
        },
        {
            trigger: "a[name=signature]",
            run: "click",
        },
        {
            trigger: "button[name=action_new_secret]",
            run: "click",
        },
        {
            trigger: ".modal .btn-primary",
            run: "click",
        },
        {
            content: "The secret is shown",
            trigger: "div[name=signing_secret]:contains(whsec_)",
        },
    ],
});
