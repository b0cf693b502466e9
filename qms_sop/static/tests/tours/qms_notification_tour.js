import {registry} from "@web/core/registry";

const openMenu = (section, entry) => [
    {
        trigger: `button[data-menu-xmlid='${section}']`,
        run: "click",
    },
    {
        trigger: `a[data-menu-xmlid='${entry}']`,
        run: "click",
    },
];

// A channel is made and tried, a text is changed, and what was given up is sent again.
registry.category("web_tour.tours").add("qms_notification_tour", {
    steps: () => [
        {
            trigger: ".o_list_button_add",
            run: "click",
        },
        {
            trigger: "div[name=name] input",
            run: "edit Status page",
        },
        {
            trigger: "div[name=new_url] input[type=password]",
            run: "edit json://127.0.0.1:9/secret-path",
        },
        {
            trigger: "div[name=template_ids] input",
            run: "edit A run was opened",
        },
        {
            trigger: ".dropdown-item:contains(A run was opened)",
            run: "click",
        },
        {
            trigger: ".o_form_button_save",
            run: "click",
        },
        {
            content: "Of the address only this is ever shown again",
            trigger: "div[name=target]:contains('json://127.0.0.1:9/…')",
        },
        {
            trigger: "div[name=new_url] input",
            run() {
                if (this.anchor.value) {
                    throw new Error("The address is shown again");
                }
            },
        },
        {
            trigger: "button[name=action_test]",
            run: "click",
        },
        {
            content: "Nobody listens there",
            trigger: ".o_notification:contains(It was not delivered)",
        },
        ...openMenu(
            "qms_error_code.qms_menu_configuration",
            "qms_sop.qms_notification_template_menu"
        ),
        {
            trigger: ".o_data_row td[name=name]:contains(A run was opened)",
            run: "click",
        },
        {
            trigger: "div[name=body] textarea",
            run: "edit Look at {{name}}: {{summary}} && click .o_form_sheet",
        },
        {
            content: "The preview follows",
            trigger:
                "div[name=preview_body]:contains(/Look at RUN-[0-9]+: Slow logins/)",
        },
        {
            trigger: ".o_form_button_save",
            run: "click",
        },
        {
            trigger: ".o_form_saved",
        },
        ...openMenu("qms_sop.qms_menu_analysis", "qms_sop.qms_notification_menu"),
        {
            trigger: ".o_data_row:contains(Given up) td[name=subject]",
            run: "click",
        },
        {
            content: "It says why",
            trigger: ".alert-danger:contains(error=503)",
        },
        {
            trigger: "button[name=action_resend]",
            run: "click",
        },
        {
            trigger:
                ".o_statusbar_status button.o_arrow_button_current:contains(Waiting)",
        },
    ],
});
